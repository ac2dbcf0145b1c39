"""The same protocols, spoken to another process: routers of people who are not us."""
