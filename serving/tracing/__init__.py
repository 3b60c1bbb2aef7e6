"""OpenTelemetry GenAI spans: a tree for each answered request, made after the fact, sent where an OTLP endpoint is configured."""
