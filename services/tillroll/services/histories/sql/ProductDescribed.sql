-- An item's revision (i_item_sk) is what sales refer to, so it is the sku.
SELECT event_digest('tpcds/reference', 'ProductDescribed', i_item_sk, 0) AS digest,
       'tpcds/reference' AS source, 'reference' AS channel, TIMESTAMP '1998-01-01' AS occurred_at,
       CAST(i_item_sk AS VARCHAR) AS sku,
       coalesce(i_product_name, i_item_id) AS name,
       trim(i_brand) AS brand, trim(i_category) AS category, trim(i_size) AS size, trim(i_color) AS colour
FROM item;
