-- Weekly counts of the warehouses; a count includes what moved up to the start of its day.
SELECT event_digest('tpcds/inventory', 'StockCounted', concat_ws('/', inv_date_sk, inv_item_sk, inv_warehouse_sk), 0) AS digest,
       'tpcds/inventory' AS source,
       'warehouse' AS channel,
       moment(day_of(inv_date_sk), 0) AS occurred_at,
       day_of(inv_date_sk) AS business_date,
       CAST(inv_item_sk AS VARCHAR) AS sku,
       warehouse_location(inv_warehouse_sk) AS location_id,
       CAST(inv_quantity_on_hand AS BIGINT) AS quantity
FROM inventory
WHERE inv_quantity_on_hand IS NOT NULL;
