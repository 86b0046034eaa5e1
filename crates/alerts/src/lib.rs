//! Webhook subscriptions as data: filters, bodies, signatures, retry schedule.
