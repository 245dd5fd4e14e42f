# Runs the SQL on stdin with an embedded database, and prints the answer.
import sys

tool, sql = sys.argv[1], sys.stdin.read()
if tool == "duckdb":
    import duckdb

    print(*duckdb.sql(sql).fetchall()[0])
else:
    import chdb

    print(chdb.query(sql, "CSV"))
