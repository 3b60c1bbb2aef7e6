"""What was served: a record for each decision, where and how they are kept, what they come to."""
