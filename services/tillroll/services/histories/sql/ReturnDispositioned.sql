-- TPC-DS does not say in what state a return comes back: all of it goes back on sale.
SELECT event_digest(source, 'ReturnDispositioned', return_id, 0) AS digest,
       source, channel, occurred_at, business_date,
       return_id, order_id, order_channel, order_business_date, order_location_id, currency,
       customer_of(returning_customer) AS customer,
       [{line_id: sku, sku: sku, kind: 'PRODUCT', location_id: place, quantity: quantity, amount_minor: minor(amount),
         reason: trim(r_reason_desc), disposition: 'sellable'}] AS lines
FROM returned
LEFT JOIN reason ON r_reason_sk = returned.reason
WHERE returned_date IS NOT NULL
ORDER BY order_number, item;
