-- Money goes back where an amount is known, at the day and the place of the return.
SELECT event_digest(source, 'RefundIssued', return_id, 0) AS digest,
       source, channel, occurred_at, business_date,
       return_id AS refund_id, return_id, order_id, order_channel, order_business_date, order_location_id, currency,
       place AS location_id,
       minor(amount) AS amount_minor,
       customer_of(refunded_customer) AS customer
FROM returned
WHERE returned_date IS NOT NULL AND amount IS NOT NULL
ORDER BY order_number, item;
