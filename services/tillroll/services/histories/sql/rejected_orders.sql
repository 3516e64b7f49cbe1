-- What the sales and returns of a range do not become, line by line, and why.
SELECT getvariable('channel') || '_sales' AS source, 'order ' || order_number AS key,
       'order without a date on any line' AS reason
FROM orders
WHERE order_business_date IS NULL
UNION ALL
SELECT getvariable('channel') || '_sales', 'order ' || order_number || ', item ' || item,
       'line without a ship date: promised, never shipped'
FROM lines JOIN orders USING (order_number)
WHERE order_business_date IS NOT NULL AND order_channel <> 'store' AND ship_date IS NULL
UNION ALL
SELECT getvariable('channel') || '_returns', 'order ' || order_number || ', item ' || item, 'return without a date'
FROM returned
WHERE returned_date IS NULL
ORDER BY ALL;
