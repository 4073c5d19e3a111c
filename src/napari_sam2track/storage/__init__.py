"""Files that are written whole or not at all, whatever happens meanwhile.

`durable` makes the system's calls, `processes` finds living ones, `seals` detects damage;
`output` writes one file or folder in place of another, `together` several at once,
`apart` keeps them from inputs, and `writer_lock` lets one process at a time do it.
"""
