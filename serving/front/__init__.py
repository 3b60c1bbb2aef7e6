"""What stands before the application: the server's processes, connections, the guard before every route, the log."""
