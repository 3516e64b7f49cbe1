-- Tickets of the stores and what came back to them, in the columns that all three channels share.
CREATE OR REPLACE TEMP VIEW sales AS
SELECT ss_ticket_number AS order_number, ss_item_sk AS item, ss_sold_date_sk AS sold_date, ss_sold_time_sk AS sold_time,
       ss_store_sk AS store, NULL::BIGINT AS warehouse, NULL::BIGINT AS ship_date, NULL::BIGINT AS ship_mode,
       NULL::BIGINT AS ship_address, ss_customer_sk AS customer,
       ss_quantity AS quantity, ss_sales_price AS unit_price, ss_ext_sales_price AS amount
FROM store_sales;

CREATE OR REPLACE TEMP VIEW returns AS
SELECT sr_ticket_number AS order_number, sr_item_sk AS item, sr_returned_date_sk AS returned_date,
       sr_return_time_sk AS returned_time, sr_store_sk AS store, NULL::BIGINT AS warehouse, sr_reason_sk AS reason,
       sr_customer_sk AS returning_customer, sr_customer_sk AS refunded_customer,
       sr_return_quantity AS quantity, sr_return_amt AS amount
FROM store_returns;
