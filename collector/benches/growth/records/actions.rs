//! The 40 actions of four rules, and how an exchange of one ends.

use super::random::Draw;

/// What a rule makes of a request. `{id}` in the path is a number.
pub struct Action {
    pub rule: &'static str,
    pub name: &'static str,
    pub method: &'static str,
    pub path: &'static str,
}

const fn of(
    rule: &'static str,
    name: &'static str,
    method: &'static str,
    path: &'static str,
) -> Action {
    Action {
        rule,
        name,
        method,
        path,
    }
}

/// Rule of the requests that Envoy authorizes elsewhere; only successful ones are recorded.
const CHECK: &str = "check";
/// Rule of requests with control headers, which have a session context.
pub const TRACKED: &str = "tracked";
/// Rule of gRPC.
pub const CALLS: &str = "calls";
/// Rule with path templates.
pub const ROUTES: &str = "routes";

/// The first one is that of [`CHECK`].
const ACTIONS: [Action; 40] = [
    of(CHECK, "GET /check", "GET", "/check"),
    of(TRACKED, "account.open", "POST", "/accounts"),
    of(TRACKED, "account.close", "POST", "/accounts/{id}/close"),
    of(TRACKED, "account.export", "GET", "/accounts/{id}/export"),
    of(TRACKED, "order.place", "POST", "/shop/orders"),
    of(TRACKED, "order.cancel", "DELETE", "/shop/orders/{id}"),
    of(TRACKED, "payment.approve", "POST", "/payments/{id}/approve"),
    of(TRACKED, "payment.refund", "POST", "/payments/{id}/refund"),
    of(TRACKED, "document.share", "PUT", "/documents/{id}/share"),
    of(TRACKED, "document.read", "GET", "/documents/{id}"),
    of(TRACKED, "password.change", "POST", "/profile/password"),
    of(TRACKED, "consent.withdraw", "POST", "/profile/consent"),
    of(TRACKED, "report.run", "POST", "/reports/{id}/runs"),
    of(TRACKED, "role.grant", "POST", "/admin/roles/{id}"),
    of(CALLS, "shop.Orders/Create", "POST", "/shop.Orders/Create"),
    of(CALLS, "shop.Orders/Get", "POST", "/shop.Orders/Get"),
    of(CALLS, "shop.Orders/List", "POST", "/shop.Orders/List"),
    of(CALLS, "shop.Users/Get", "POST", "/shop.Users/Get"),
    of(CALLS, "shop.Users/Update", "POST", "/shop.Users/Update"),
    of(CALLS, "shop.Users/Delete", "POST", "/shop.Users/Delete"),
    of(CALLS, "stock.Items/Get", "POST", "/stock.Items/Get"),
    of(CALLS, "stock.Items/Reserve", "POST", "/stock.Items/Reserve"),
    of(CALLS, "stock.Items/Release", "POST", "/stock.Items/Release"),
    of(CALLS, "mail.Outbox/Send", "POST", "/mail.Outbox/Send"),
    of(ROUTES, "GET /v1/users/{id}", "GET", "/v1/users/{id}"),
    of(ROUTES, "PATCH /v1/users/{id}", "PATCH", "/v1/users/{id}"),
    of(ROUTES, "GET /v1/orders", "GET", "/v1/orders"),
    of(ROUTES, "POST /v1/orders", "POST", "/v1/orders"),
    of(ROUTES, "GET /v1/orders/{id}", "GET", "/v1/orders/{id}"),
    of(
        ROUTES,
        "PUT /v1/orders/{id}/items/{id}",
        "PUT",
        "/v1/orders/{id}/items/{id}",
    ),
    of(
        ROUTES,
        "DELETE /v1/orders/{id}",
        "DELETE",
        "/v1/orders/{id}",
    ),
    of(ROUTES, "GET /v1/invoices", "GET", "/v1/invoices"),
    of(ROUTES, "GET /v1/invoices/{id}", "GET", "/v1/invoices/{id}"),
    of(ROUTES, "POST /v1/invoices", "POST", "/v1/invoices"),
    of(ROUTES, "GET /v1/claims", "GET", "/v1/claims"),
    of(ROUTES, "GET /v1/claims/{id}", "GET", "/v1/claims/{id}"),
    of(ROUTES, "POST /v1/claims", "POST", "/v1/claims"),
    of(ROUTES, "GET /v1/devices/{id}", "GET", "/v1/devices/{id}"),
    of(ROUTES, "POST /v1/devices", "POST", "/v1/devices"),
    of(ROUTES, "GET /v1/search", "GET", "/v1/search"),
];

/// In percent, beside successes: 95 of 100.
const DENIED: u64 = 4;
const FAILED: u64 = 1;
/// Percent of all requests that are checks.
const CHECKS: u64 = 15;
/// Actions of one service besides; those of neighbours overlap.
const OF_SERVICE: f64 = 10.0;

/// How an exchange ended.
pub struct Ending {
    pub outcome: &'static str,
    pub severity: (i32, &'static str),
    pub http_status: i64,
    /// Status and message of a call.
    pub rpc: Option<(&'static str, &'static str)>,
}

const INFO: (i32, &str) = (9, "INFO");
const WARN: (i32, &str) = (13, "WARN");
const ERROR: (i32, &str) = (17, "ERROR");

impl Action {
    /// What a request to this service does. The first actions of a service are the frequent ones.
    pub fn draw(draw: &mut Draw, service: u64) -> &'static Self {
        let is_check = draw.below(100) < CHECKS;
        let rank = (draw.share().powi(2) * OF_SERVICE) as u64;
        let others = ACTIONS.len() as u64 - 1;
        let index = 1 + (service * 2 + rank) % others;

        &ACTIONS[if is_check { 0 } else { index as usize }]
    }

    /// Its path in one request.
    pub fn path(&self, draw: &mut Draw) -> String {
        let mut parts = self.path.split("{id}");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |path, part| {
            format!("{path}{}{part}", 100_000 + draw.below(4_000_000))
        })
    }

    /// How a request ends.
    pub fn ending(&self, draw: &mut Draw) -> Ending {
        let (percent, kind) = (draw.below(100), draw.below(4));
        let is_call = self.rule == CALLS;

        if self.rule == CHECK || percent >= DENIED + FAILED {
            Ending::of(
                "success",
                INFO,
                self.success(),
                is_call.then_some(("OK", "")),
            )
        } else if percent >= FAILED {
            let (status, name) = if kind == 0 {
                (401, "UNAUTHENTICATED")
            } else {
                (403, "PERMISSION_DENIED")
            };
            let rpc = is_call.then_some((name, "the caller may not do this"));
            Ending::of("denied", WARN, if is_call { 200 } else { status }, rpc)
        } else {
            self.failure(kind)
        }
    }

    fn failure(&self, kind: u64) -> Ending {
        let is_call = self.rule == CALLS;
        let (severity, status, name, message) = match kind {
            0 | 1 => (WARN, 404, "NOT_FOUND", "no such object"),
            2 => (WARN, 409, "ABORTED", "changed meanwhile, version 17"),
            _ => (ERROR, 503, "UNAVAILABLE", "upstream connect error"),
        };

        let rpc = is_call.then_some((name, message));
        Ending::of("failure", severity, if is_call { 200 } else { status }, rpc)
    }

    fn success(&self) -> i64 {
        match (self.rule, self.method) {
            (CALLS, _) => 200,
            (_, "DELETE") => 204,
            (_, "POST") => 201,
            _ => 200,
        }
    }
}

impl Ending {
    fn of(
        outcome: &'static str,
        severity: (i32, &'static str),
        http_status: i64,
        rpc: Option<(&'static str, &'static str)>,
    ) -> Self {
        Self {
            outcome,
            severity,
            http_status,
            rpc,
        }
    }
}
