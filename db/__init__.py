"""The database: tables, engine, migrations, and the functions that read and write them.

Functions take a connection and never commit; whoever opened the transaction closes it.
"""
