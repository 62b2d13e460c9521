"""What goes on in a running instance: the pools of PgBouncer and the sessions of Postgres.

Values and the questions that bring them; who asks how often, over which session, is the caller's.
"""
