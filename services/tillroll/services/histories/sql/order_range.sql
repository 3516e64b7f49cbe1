-- The lines, orders and returns of one range of order numbers; what the event queries read.
-- The three dsdgen tables are written in the order of these numbers, so a range reads only its own blocks.
CREATE OR REPLACE TEMP TABLE lines AS
SELECT *, CAST(item AS VARCHAR) AS sku, store_location(store) AS store_id, warehouse_location(warehouse) AS warehouse_id
FROM sales
WHERE order_number BETWEEN $low AND $high;

-- What one line of an order does not say, another does: date, time, store, customer and address are the order's.
CREATE OR REPLACE TEMP TABLE orders AS
SELECT order_number,
       'tpcds-' || getvariable('channel') || '-' || order_number AS order_id,
       getvariable('channel') AS order_channel,
       day_of(min(sold_date)) AS order_business_date,
       moment(day_of(min(sold_date)), min(sold_time)) AS placed_at,
       store_location(min(store)) AS order_location_id,
       'USD' AS currency,
       customer_of(min(customer)) AS customer,
       min(ship_address) AS ship_address
FROM lines
GROUP BY order_number;

CREATE OR REPLACE TEMP TABLE returned AS
SELECT returns.* EXCLUDE (order_number),
       order_number,
       'tpcds-' || getvariable('channel') || '-' || order_number AS order_id,
       order_id || '-' || item AS return_id,
       CAST(item AS VARCHAR) AS sku,
       getvariable('channel') AS channel,
       'tpcds/' || getvariable('channel') AS source,
       day_of(returned_date) AS business_date,
       moment(day_of(returned_date), returned_time) AS occurred_at,
       CASE WHEN getvariable('channel') = 'store' THEN store_location(store) ELSE warehouse_location(warehouse) END AS place,
       CASE WHEN orders.order_business_date IS NOT NULL THEN orders.order_channel END AS order_channel,
       orders.order_business_date,
       coalesce(orders.order_location_id, '') AS order_location_id,
       'USD' AS currency
FROM returns
LEFT JOIN orders USING (order_number)
WHERE order_number BETWEEN $low AND $high;

-- Lines of catalog and web by parcel: its number in the range, and its ordinal in the order.
CREATE OR REPLACE TEMP TABLE parcel_lines AS
SELECT order_number, item, sku, warehouse_id, quantity, ship_date, ship_mode,
       dense_rank() OVER (ORDER BY order_number, ship_date, warehouse_id, ship_mode) AS parcel,
       dense_rank() OVER (PARTITION BY order_number ORDER BY ship_date, warehouse_id, ship_mode) AS ordinal
FROM lines
WHERE ship_date IS NOT NULL AND getvariable('channel') <> 'store';
