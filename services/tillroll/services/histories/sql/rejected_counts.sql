SELECT 'inventory' AS source,
       'date ' || day_of(inv_date_sk) || ', item ' || inv_item_sk || ', warehouse ' || coalesce(inv_warehouse_sk::VARCHAR, '?') AS key,
       'count without a quantity' AS reason
FROM inventory
WHERE inv_quantity_on_hand IS NULL;
