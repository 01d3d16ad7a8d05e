"""Look on at a run while it goes on, from its directory alone: nothing is locked, written or asked of its processes."""
