SELECT (SELECT count(*) FROM lines) + (SELECT count(*) FROM returned) AS rows;
