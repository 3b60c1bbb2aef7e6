"""How answers are read: thinking left out, the final answer found, its number, option or text told apart. Imports nothing of ours."""
