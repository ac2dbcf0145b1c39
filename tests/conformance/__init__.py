"""Does every router do through its real proxy what it says it can, and refuse the rest? One matrix: routers by behaviours."""
