"""What does a server-side apply make of an object, and of who owns its fields?"""
