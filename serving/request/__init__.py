"""What a request holds: its bytes, its fields, its conversation, and the text of it that is scored."""
