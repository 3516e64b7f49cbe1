SELECT order_number AS event, sku AS line_id, sku, warehouse_id AS location_id, quantity
FROM lines
ORDER BY event, item;
