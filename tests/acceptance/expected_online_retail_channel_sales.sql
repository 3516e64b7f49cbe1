-- What channel_sales has to hold after Online Retail, from the CSV files alone (domain.md 3 and 6).
-- The files: SET VARIABLE files = [...].
WITH source AS (
    SELECT "InvoiceNo" AS invoice, CAST("Quantity" AS BIGINT) AS quantity, CAST("UnitPrice" AS DECIMAL(18, 6)) AS price,
           CAST("InvoiceDate" AS TIMESTAMP) AS at_shop,
           "StockCode" IN ('POST', 'DOT', 'C2', 'M', 'm', 'D', 'S', 'B', 'AMAZONFEE', 'BANK CHARGES', 'CRUK') AS charge,
           round(CAST(quantity AS DECIMAL(18, 0)) * price, 2) AS amount
    FROM read_csv(getvariable('files'), header = true, all_varchar = true)
    WHERE "InvoiceNo" NOT LIKE 'A%'
), dated AS (
    SELECT *, CAST(min(at_shop) OVER (PARTITION BY invoice) AS DATE) AS business_date FROM source
), placed AS (
    SELECT business_date, count(DISTINCT invoice) AS orders, sum(CASE WHEN charge THEN 0 ELSE quantity END) AS units,
           sum(amount) AS gross
    FROM dated WHERE invoice NOT LIKE 'C%' AND quantity > 0 GROUP BY business_date
), returned AS (
    SELECT business_date, -sum(CASE WHEN charge THEN 0 ELSE quantity END) AS units, -sum(amount) AS money
    FROM dated WHERE invoice LIKE 'C%' AND quantity < 0 GROUP BY business_date
)
SELECT business_date, 'web' AS channel, '' AS location_id, 'GBP' AS currency,
       CAST(coalesce(orders, 0) AS BIGINT) AS orders,
       CAST(coalesce(placed.units, 0) AS BIGINT) AS units,
       CAST(coalesce(gross, 0) * 100 AS BIGINT) AS gross_minor,
       CAST(0 AS BIGINT) AS cancelled_units,
       CAST(0 AS BIGINT) AS cancelled_minor,
       CAST(coalesce(returned.units, 0) AS BIGINT) AS returned_units,
       CAST(coalesce(money, 0) * 100 AS BIGINT) AS refunded_minor,
       CAST(0 AS BIGINT) AS unknown_quantities,
       CAST(0 AS BIGINT) AS unknown_amounts
FROM placed FULL JOIN returned USING (business_date)
ORDER BY business_date, channel, location_id, currency;
