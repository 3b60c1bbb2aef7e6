"""Reach an LLM: one protocol, its OpenAI client, and the scripted fake of tests."""
