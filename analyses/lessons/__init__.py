"""Lessons: what a student is to learn, the engine that has it taught, the places where, and what is kept of it."""
