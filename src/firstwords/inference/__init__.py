"""Generate tokens: decoder, engine, sampling, chat."""
