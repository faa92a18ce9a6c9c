"""Addresses: the lowest layer, which knows numbers and text and nothing of Kubernetes.

============  ==========================================================================================
`cidr`        `IPFamily`, the frozen value `Cidr`, one address to and from text
`arrays`      address columns: one dtype a family, exact 128-bit arithmetic, order, search, membership
`text`        whole columns to and from text, strict and sloppy reading
`space`       algebra of CIDR lists: overlaps, gaps, aggregates, free blocks, longest-prefix match
`registries`  IANA special-purpose blocks and the RFC 6724 policy table, as dated data
============  ==========================================================================================

The family of a column is its dtype; a missing address is a mask beside the column, never a magic value in it.
"""
