-- Per sku what is on hand after Online Retail, from the CSV files alone (nothing was counted, so it began at 0):
-- sales go off, returns come back, and a quantity below 0 that is no return is written off as it stands.
WITH goods AS (
    SELECT "StockCode" AS sku, "InvoiceNo" AS invoice, "Quantity"::BIGINT AS quantity
    FROM read_csv(getvariable('files'), header = true, all_varchar = true)
    WHERE "InvoiceNo" NOT LIKE 'A%'
      AND "StockCode" NOT IN ('POST', 'DOT', 'C2', 'M', 'm', 'D', 'S', 'B', 'AMAZONFEE', 'BANK CHARGES', 'CRUK')
)
SELECT sku, sum(CASE WHEN invoice LIKE 'C%' OR quantity > 0 THEN -quantity ELSE quantity END)::BIGINT AS on_hand
FROM goods
GROUP BY sku
ORDER BY sku;
