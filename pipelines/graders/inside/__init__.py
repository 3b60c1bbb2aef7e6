"""What runs inside the sandbox: one program with the answer's code, one with the tests; they exchange plain data. Standard library only."""
