-- Rows that become events or rejects, for progress.
SELECT (SELECT count(*) FROM store_sales) + (SELECT count(*) FROM store_returns)
     + (SELECT count(*) FROM catalog_sales) + (SELECT count(*) FROM catalog_returns)
     + (SELECT count(*) FROM web_sales) + (SELECT count(*) FROM web_returns)
     + (SELECT count(*) FROM inventory)
     + (SELECT count(*) FROM item) + (SELECT count(*) FROM store) + (SELECT count(*) FROM warehouse) AS rows;
