-- Per order what its product lines hold after Online Retail, from the CSV files alone: all are sold, promised and
-- shipped at once; nothing is known to have come back, since a return names no order. The files: SET VARIABLE files = [...].
SELECT "InvoiceNo" AS order_id, count(*) AS lines, count(DISTINCT "StockCode") AS skus,
       sum("Quantity"::BIGINT)::BIGINT AS ordered
FROM read_csv(getvariable('files'), header = true, all_varchar = true)
WHERE "InvoiceNo" NOT LIKE 'A%' AND "InvoiceNo" NOT LIKE 'C%' AND "Quantity"::BIGINT > 0
  AND "StockCode" NOT IN ('POST', 'DOT', 'C2', 'M', 'm', 'D', 'S', 'B', 'AMAZONFEE', 'BANK CHARGES', 'CRUK')
GROUP BY ALL
ORDER BY order_id;
