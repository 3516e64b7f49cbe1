SELECT coalesce(min(order_number), 1) AS lowest, coalesce(max(order_number), 0) AS highest
FROM (SELECT order_number FROM sales UNION ALL SELECT order_number FROM returns);
