-- Places that can sell `sku`, nearest first, as seen from the place `here`.
-- Distance in km on a sphere of the Earth's mean radius, 6371 km (haversine formula); null where a place's
-- coordinates are unknown. A place without them comes last: it may still be next door.
select a.location_id, coalesce(l.name, a.location_id) as name,
       2 * 6371 * asin(sqrt(
           power(sin(radians(l.latitude - o.latitude) / 2), 2)
           + cos(radians(o.latitude)) * cos(radians(l.latitude)) * power(sin(radians(l.longitude - o.longitude) / 2), 2)
       )) as km,
       a.sellable
  from store_availability a
  left join locations l on l.location_id = a.location_id
  left join locations o on o.location_id = %(here)s
 where a.sku = %(sku)s and a.location_id <> %(here)s and a.sellable > 0 and l.kind is not distinct from 'store'
 order by km nulls last, a.location_id
 limit %(limit)s
