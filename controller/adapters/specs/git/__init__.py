"""A Git repository as the source of placements, read with git's own command.

`address` is what the operator configures, `program` runs git in a bare environment, `mirror` asks
the repository, `tree` says which of its files are specs, `judge` whether a revision is taken,
`accepted` remembers the one that was, and `source` puts them together.
"""
