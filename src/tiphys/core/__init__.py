"""Given this picture, what should happen next, and why?"""
