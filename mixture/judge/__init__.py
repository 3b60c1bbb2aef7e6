"""Ask LLMs for assessments of answers, and read what they say."""
