"""Qt widgets of the plugin: they read values, emit signals and show state.

They know nothing of napari, SAM2 or files. ``set_...`` emits nothing; signals report a user's acts.
"""
