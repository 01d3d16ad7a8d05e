"""From a comparison to documents: one page, tables in three formats, and figures as files."""
