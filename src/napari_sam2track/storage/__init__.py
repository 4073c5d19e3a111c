"""Files that are whole or not there, whatever happens while they are written.

`durable` knows the system's calls, `processes` who lives, `seals` whether a file is what was
written; `output` writes one file or folder in place of another, `together` several at once,
`apart` keeps them from what is read, and `locks` lets one process at a time do it.
"""
