"""What one worker process keeps beside its requests: files it follows, copies of what hosts share, figures, its leaving."""
