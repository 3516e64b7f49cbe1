-- Catalog and web: every line is promised by its warehouse as soon as the order is placed.
SELECT event_id('tpcds/' || order_channel, 'LineSourced', order_id, 0) AS event_id,
       'tpcds/' || order_channel AS source,
       order_channel AS channel,
       placed_at AS occurred_at,
       order_business_date AS business_date,
       order_id, order_channel, order_business_date, order_location_id, currency,
       list({line_id: sku, sku: sku, location_id: warehouse_id, quantity: quantity} ORDER BY item) AS lines
FROM lines JOIN orders USING (order_number)
WHERE order_business_date IS NOT NULL AND order_channel <> 'store'
GROUP BY ALL
ORDER BY order_id;
