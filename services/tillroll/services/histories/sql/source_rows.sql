-- Rows that become events or rejects, for progress.
SELECT count(*) AS rows FROM store_sales UNION ALL SELECT count(*) FROM store_returns
UNION ALL SELECT count(*) FROM catalog_sales UNION ALL SELECT count(*) FROM catalog_returns
UNION ALL SELECT count(*) FROM web_sales UNION ALL SELECT count(*) FROM web_returns
UNION ALL SELECT count(*) FROM inventory
UNION ALL SELECT count(*) FROM item UNION ALL SELECT count(*) FROM store UNION ALL SELECT count(*) FROM warehouse;
