//! Handles one request: route, token, body, dispatcher, response and log line.

use super::auth_throttle::AuthThrottle;
use super::authenticate::X_AUTH_TOKEN;
use super::authorize::Authorized;
use super::body::{Body, BodyLimits, Seen};
use super::caller::Caller;
use super::fault::Fault;
use super::known::KnownAddresses;
use super::limits::Limits;
use super::payload::Payload;
use super::peer::Peer;
use super::query::Query;
use super::routes::{self, Operation, Route};
use super::state::State;
use super::wire::{self, RunRequest};
use crate::command::{CommandView, Commander, Turn};
use crate::error::shortened;
use crate::logging::LogBudget;
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue,
    LOCATION, SERVER,
};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Request, Response, StatusCode, Uri};
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{AcquireError, Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::task::{spawn_blocking, yield_now};
use tokio::time::timeout;

pub(super) type ApiResponse = Response<Payload>;

/// State that all connections share.
pub(super) struct Handler {
    pub(super) state: State,
    pub(super) limits: Limits,
    pub(super) throttle: AuthThrottle,
    pub(super) known: KnownAddresses,
    /// Budget of log lines for known callers other than the conductor.
    pub(super) users_lines: LogBudget,
    /// Budget of log lines for their commands. It is separate, so that no number of reads can hide
    /// which caller erased a disk.
    pub(super) users_commands: LogBudget,
    /// Permits to read a body of a caller other than the conductor.
    pub(super) user_body: Semaphore,
    /// Permits to send a large response to such a caller.
    pub(super) user_answers: Arc<Semaphore>,
    /// Lock to build a response for such a caller.
    pub(super) user_turn: Arc<Mutex<()>>,
    pub(super) scheme: &'static str,
    pub(super) inventory_lock: Arc<Mutex<()>>,
}

/// Permission to build and hold a response. It is empty for the conductor, which waits for no other
/// caller.
struct Leave(Option<(OwnedSemaphorePermit, OwnedMutexGuard<()>)>);

impl Leave {
    /// Releases the build lock and returns the permit to hold the response. It yields first, so
    /// that all ready tasks run before the next response is built for such a caller. However many
    /// of them send requests, the conductor waits for one or two.
    async fn made(self) -> Option<OwnedSemaphorePermit> {
        let (permit, turn) = self.0?;
        yield_now().await;
        drop(turn);
        Some(permit)
    }
}

impl Handler {
    /// Handles any request.
    pub(super) async fn handle(&self, request: Request<Incoming>, peer: &Peer) -> ApiResponse {
        if !peer.is_trusted() {
            // Also for pipelined requests: an unauthenticated connection gets one response, then
            // all other ready tasks run.
            yield_now().await;
        }
        let (head, incoming) = request.into_parts();
        let mut log = RequestLog::begin(self, &head, peer);
        let mut body = Body::new(incoming);
        let mut answer = match self.route(&head, &mut body, peer, &mut log).await {
            Ok(answer) => answer,
            Err(fault) => {
                self.log_denial(&fault);
                refusal(&fault)
            }
        };
        let headers = answer.headers_mut();
        headers.insert(SERVER, HeaderValue::from_static("ironic-python-agent"));
        if body.is_left() || peer.has_outgrown_buffer() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if body.is_left() {
            peer.mark_unread_body();
        }
        log.status = Some(answer.status());
        answer
    }

    async fn route(
        &self,
        head: &Parts,
        body: &mut Body,
        peer: &Peer,
        log: &mut RequestLog<'_>,
    ) -> Result<ApiResponse, Fault> {
        refuse_repeated(&head.headers)?;
        let path = routes::decoded(head.uri.path());
        match routes::find(&head.method, &path) {
            Route::To(operation) => {
                let admitted = self.admit(operation, head, peer).await?;
                log.caller = Some(admitted.caller().clone());
                self.operate(operation, admitted, head, body, peer).await
            }
            Route::MethodNotAllowed(allowed) => Err(Fault::MethodNotAllowed(allowed)),
            Route::NotFound => Err(Fault::NotFound),
            Route::Slash => redirect(&self.base(head, peer), &head.uri),
        }
    }

    /// Authorizes a request. The response to an unauthenticated client is delayed.
    async fn admit<'a>(
        &'a self,
        operation: Operation<'a>,
        head: &'a Parts,
        peer: &Peer,
    ) -> Result<Authorized<'a>, Fault> {
        let admitted = self.state.gate.authorize(operation, head).await;
        match &admitted {
            Ok(admitted) if admitted.is_conductors() => {
                peer.mark_authenticated();
                self.known.remember(peer.address.ip());
            }
            Err(Fault::Unauthorized) => self.throttle.delay_failure(peer.address.ip()).await,
            Ok(_) | Err(_) => {}
        }
        admitted
    }

    fn log_denial(&self, fault: &Fault) {
        if let Fault::Forbidden(caller, denied) = fault
            && let Some(untold) = self.users_lines.take()
        {
            // As a string: Keystone's users choose the name.
            let caller = caller.to_string();
            let reason = shortened(denied.to_string(), MAX_REASON_LEN);
            tracing::warn!(caller, untold, %reason, "Refused by policy");
        }
    }

    async fn operate(
        &self,
        operation: Operation<'_>,
        mut admitted: Authorized<'_>,
        head: &Parts,
        body: &mut Body,
        peer: &Peer,
    ) -> Result<ApiResponse, Fault> {
        let state = &self.state;
        let wait = Query::of(&head.uri).wait();
        match operation {
            Operation::Command(id) => self.record(id, wait, admitted).await,
            Operation::Inventory => self.inventory(admitted).await,
            Operation::List => self.records(admitted).await,
            Operation::Log => {
                let leave = self.may_answer(&mut admitted).await?;
                let log = state.gate.subject.log().into_bytes();
                let log = Payload::from(log).with(leave.made().await);
                Ok(with_type(log, "text/plain; charset=utf-8"))
            }
            Operation::Root => document(wire::root(&self.base(head, peer))),
            Operation::Run => self.run(admitted, body, wait).await,
            Operation::Status => document(wire::status(state.started_at, state.version)),
            Operation::Version => document(wire::version(&self.base(head, peer))),
        }
    }

    async fn run(
        &self,
        mut admitted: Authorized<'_>,
        body: &mut Body,
        wait: bool,
    ) -> Result<ApiResponse, Fault> {
        let is_users = !admitted.is_conductors();
        let turn = match is_users {
            true => Some(self.turn(self.user_body.acquire()).await?),
            false => None,
        };
        let request = self.request(&mut admitted, body).await?;
        let dispatcher = &self.state.dispatcher;
        let turn_to_run = self.turn_to_run(&mut admitted, &request).await?;
        let waits_here = wait && !is_users;
        let commander = match is_users {
            true => Commander::User {
                is_logged: self.logs_command(),
            },
            false => Commander::Conductor,
        };
        let view = dispatcher.run_in(
            turn_to_run,
            &request.name,
            request.params,
            waits_here,
            commander,
        );
        let view = view.await.map_err(Fault::Agent)?;
        // The command owns the body's content now, so other requests need not wait for its end.
        drop(turn);
        if is_users {
            let id = view.id.clone();
            drop(view);
            return self.record(&id, wait, admitted).await;
        }
        self.shown(&view, &admitted)
    }

    /// Waits until no other command runs, and checks whether this command may run. A user's request
    /// is checked again after the wait, because the policy or the token may have changed.
    async fn turn_to_run(
        &self,
        admitted: &mut Authorized<'_>,
        request: &RunRequest,
    ) -> Result<Turn, Fault> {
        let begin = Instant::now();
        loop {
            // Keystone is not called while the turn is held: Ironic may be waiting for it.
            admitted.renew(self.limits.decision).await?;
            admitted.check_command(request)?;
            let turn = self.state.dispatcher.turn().await;
            if admitted.holds(self.limits.decision) {
                return Ok(turn);
            }
            drop(turn);
            if begin.elapsed() > self.limits.body * 2 {
                return Err(Fault::Busy);
            }
        }
    }

    /// Returns whether to log one more command of a caller other than the conductor.
    fn logs_command(&self) -> bool {
        let taken = self.users_commands.take();
        if let Some(untold @ 1..) = taken {
            tracing::warn!(
                untold,
                "Commands of callers other than the conductor were not logged"
            );
        }
        taken.is_some()
    }

    /// Reads the command's name and parameters. A caller without permission is refused as soon as
    /// the name has arrived.
    async fn request(
        &self,
        admitted: &mut Authorized<'_>,
        body: &mut Body,
    ) -> Result<RunRequest, Fault> {
        let pause = self.limits.body;
        let (limits, max_values) = match admitted.is_conductors() {
            true => (
                BodyLimits {
                    bytes: self.limits.body_bytes,
                    pause,
                    whole: None,
                },
                wire::MAX_VALUES,
            ),
            false => (
                BodyLimits {
                    bytes: self.limits.user_body_bytes,
                    pause,
                    whole: Some(pause),
                },
                wire::MAX_VALUES_OF_USERS,
            ),
        };
        let look = |begun: &[u8]| match wire::name_before_the_rest(begun) {
            Some(name) => admitted.check_command_name(&name).map(|()| Seen::Enough),
            None => Ok(Seen::TooLittle),
        };
        let body = body.read(&limits, look).await?;
        RunRequest::parse(&body, max_values).map_err(Fault::BadRequest)
    }

    /// Permits a response about commands. An anonymous response has no results and is small. A
    /// conductor that sends no token may request it, so it waits for no other response.
    async fn may_answer_about_commands(
        &self,
        admitted: &mut Authorized<'_>,
    ) -> Result<Leave, Fault> {
        match admitted.is_anonymous() {
            true => {
                admitted.renew(self.limits.decision).await?;
                Ok(Leave(None))
            }
            false => self.may_answer(admitted).await,
        }
    }

    /// Permits a response that may be large. The number of such responses to callers other than the
    /// conductor is limited, and one is built at a time. After the wait for a permit the caller is
    /// authorized again.
    async fn may_answer(&self, admitted: &mut Authorized<'_>) -> Result<Leave, Fault> {
        if admitted.is_conductors() {
            return Ok(Leave(None));
        }
        let permit = Arc::clone(&self.user_answers).acquire_owned();
        let permit = self.turn(permit).await?;
        // Not later: other responses must not wait for Keystone.
        admitted.renew(self.limits.decision).await?;
        let turn = Arc::clone(&self.user_turn).lock_owned().await;
        Ok(Leave(Some((permit, turn))))
    }

    /// Waits for a permit, with a timeout.
    async fn turn<P>(
        &self,
        turn: impl Future<Output = Result<P, AcquireError>>,
    ) -> Result<P, Fault> {
        // Longer than the slowest body that is read now may take.
        match timeout(self.limits.body * 2, turn).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Fault::Busy),
        }
    }

    /// Returns a command as this caller may see it; after its end, if `wait`. While it waits for a
    /// permit it holds no result. The result is looked up afterwards and may be omitted by then.
    async fn record(
        &self,
        id: &str,
        wait: bool,
        mut admitted: Authorized<'_>,
    ) -> Result<ApiResponse, Fault> {
        let dispatcher = &self.state.dispatcher;
        dispatcher.ended(id, wait).await.map_err(Fault::Agent)?;
        let leave = self.may_answer_about_commands(&mut admitted).await?;
        let view = dispatcher.command(id).map_err(Fault::Agent)?;
        let answer = self.shown(&view, &admitted);
        drop(view);
        let permit = leave.made().await;
        Ok(answer?.map(|payload| payload.with(permit)))
    }

    fn shown(&self, view: &CommandView, admitted: &Authorized<'_>) -> Result<ApiResponse, Fault> {
        document(match admitted.is_anonymous() {
            true => wire::open_command(view),
            false => wire::command(view, admitted.sees_secrets()),
        })
    }

    /// Returns all commands as this caller may see them. An anonymous caller may be a conductor of
    /// a release that sends no token here.
    async fn records(&self, mut admitted: Authorized<'_>) -> Result<ApiResponse, Fault> {
        let leave = self.may_answer_about_commands(&mut admitted).await?;
        let dispatcher = &self.state.dispatcher;
        let views = match admitted.is_conductors() || admitted.is_anonymous() {
            true => dispatcher.conductors_list(),
            false => dispatcher.list(),
        };
        let answer = document(match admitted.is_anonymous() {
            true => wire::open_list(&views),
            false => wire::list(&views, admitted.sees_secrets()),
        });
        let permit = leave.made().await;
        Ok(answer?.map(|payload| payload.with(permit)))
    }

    /// Collects the inventory, for one caller other than the conductor at a time, because it
    /// queries every disk. The thread holds both the lock and the permit, because it continues
    /// after the client has disconnected.
    async fn inventory(&self, mut admitted: Authorized<'_>) -> Result<ApiResponse, Fault> {
        // The inventory is collected on a blocking thread, one at a time in any case.
        let permit = self.may_answer(&mut admitted).await?.made().await;
        let turn = match admitted.is_conductors() {
            // The conductor waits for no other caller.
            true => None,
            false => {
                let turn = Arc::clone(&self.inventory_lock).lock_owned();
                let turn = timeout(self.limits.body * 2, turn).await;
                let turn = turn.map_err(|_| Fault::Busy)?;
                admitted.renew(self.limits.decision).await?;
                Some(turn)
            }
        };
        let subject = Arc::clone(&self.state.gate.subject);
        let collected = spawn_blocking(move || {
            let inventory = subject.inventory();
            drop(turn);
            (inventory, permit)
        });
        let (inventory, permit) = collected.await.map_err(|error| {
            tracing::error!(%error, "The inventory could not be collected");
            Fault::Internal
        })?;
        Ok(document(wire::json(&inventory))?.map(|payload| payload.with(permit)))
    }

    /// Returns scheme and host as the client sees them, or the local address if the request has no
    /// valid host.
    fn base(&self, head: &Parts, peer: &Peer) -> String {
        let named = |text: &HeaderValue| text.to_str().ok()?.parse::<Authority>().ok();
        let host = head.uri.authority().cloned();
        let host = host
            .or_else(|| head.headers.get(HOST).and_then(named))
            .filter(|host| !host.as_str().contains('@'));
        match host {
            Some(host) => format!("{}://{host}", self.scheme),
            None => format!("{}://{}", self.scheme, peer.local),
        }
    }
}

/// Refuses a request that repeats a security-relevant header. A proxy before the agent may have
/// checked the other one (RFC 9112, section 3.2, for `Host`).
fn refuse_repeated(headers: &HeaderMap) -> Result<(), Fault> {
    for (name, shown) in SINGLE_HEADERS {
        if headers.get_all(name).iter().nth(1).is_some() {
            let text = format!("The header {shown} is there more than once.");
            return Err(Fault::BadRequest(text));
        }
    }
    Ok(())
}

fn document(json: serde_json::Result<Vec<u8>>) -> Result<ApiResponse, Fault> {
    match json {
        Ok(json) => Ok(with_type(json, "application/json")),
        Err(error) => {
            tracing::error!(%error, "An answer could not be written");
            Err(Fault::Internal)
        }
    }
}

pub(super) fn refusal(fault: &Fault) -> ApiResponse {
    let mut answer = with_type(fault.body(), "application/json");
    *answer.status_mut() = fault.status();
    if let Fault::MethodNotAllowed(allowed) = fault {
        let allowed = HeaderValue::from_static(allowed);
        answer.headers_mut().insert(ALLOW, allowed);
    }
    answer
}

/// Redirects to the same path with a slash. The page contains no address, because the query may
/// hold the token.
fn redirect(base: &str, uri: &Uri) -> Result<ApiResponse, Fault> {
    let query = uri.query().map(|query| format!("?{query}"));
    let location = format!("{base}{}/{}", uri.path(), query.unwrap_or_default());
    let location = HeaderValue::try_from(location).map_err(|_| Fault::Internal)?;
    let mut answer = with_type(REDIRECTED.as_bytes().to_vec(), "text/html; charset=utf-8");
    *answer.status_mut() = StatusCode::PERMANENT_REDIRECT;
    let headers = answer.headers_mut();
    headers.insert(LOCATION, location);
    if Query::of(uri).token().is_some() {
        // The location repeats the token, and hyper's write buffer lives as long as the connection.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(answer)
}

fn with_type(body: impl Into<Payload>, kind: &'static str) -> ApiResponse {
    let mut answer = Response::new(body.into());
    let kind = HeaderValue::from_static(kind);
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

/// Logs the request when its response is ready or the client has disconnected. All requests of the
/// conductor are logged. Clients without a valid credential get debug lines only, because
/// [`AuthThrottle`] logs refusals. Lines of all callers but the conductor are rate-limited.
struct RequestLog<'a> {
    service: &'a Handler,
    client: IpAddr,
    /// Client address that a proxy reports, or that the client claims.
    forwarded_for: Option<IpAddr>,
    method: String,
    target: String,
    begin: Instant,
    status: Option<StatusCode>,
    /// Caller, if it was authenticated.
    caller: Option<Caller>,
    /// The token was shown on this connection before.
    is_trusted: bool,
}

impl<'a> RequestLog<'a> {
    fn begin(service: &'a Handler, head: &Parts, peer: &Peer) -> Self {
        let query = Query::of(&head.uri).redacted();
        let mark = if query.is_empty() { "" } else { "?" };
        Self {
            service,
            client: peer.address.ip(),
            forwarded_for: forwarded_for(&head.headers),
            method: shortened(head.method.to_string(), MAX_METHOD_LEN),
            target: format!("{:.256}{mark}{query:.256}", shown(head.uri.path())),
            begin: Instant::now(),
            status: None,
            caller: None,
            is_trusted: peer.is_trusted(),
        }
    }

    fn is_anonymous(&self) -> bool {
        !self.is_trusted && matches!(self.caller, None | Some(Caller::Anonymous))
    }
}

/// Masks a path for the log: only the API's own words and command ids remain. A request with the
/// token in the path instead of the query gets 404, and the log does not repeat the token.
fn shown(path: &str) -> String {
    let known = |part: &str| {
        let ours = ["", "v1", "status", "commands", "inventory", "log"].contains(&part);
        ours || uuid::Uuid::try_parse(part).is_ok()
    };
    let parts: Vec<&str> = path
        .split('/')
        .map(|part| if known(part) { part } else { "***" })
        .collect();
    parts.join("/")
}

impl Drop for RequestLog<'_> {
    fn drop(&mut self) {
        // The conductor and anonymous clients are recognised by the token, or its absence, in the
        // target.
        let user = match &self.caller {
            Some(caller @ (Caller::Observer | Caller::User(_))) => Some(caller),
            _ => None,
        };
        let untold = if self.is_anonymous() {
            self.service.throttle.take_debug_line()
        } else if user.is_some() {
            self.service.users_lines.take()
        } else {
            Some(0)
        };
        let Some(untold) = untold else {
            return;
        };
        let untold = (untold > 0).then_some(untold);
        let (client, method, target) = (self.client, self.method.as_str(), &self.target);
        let forwarded_for = self.forwarded_for.map(tracing::field::display);
        let caller = user.map(ToString::to_string);
        let status = self.status.map(|status| status.as_u16());
        let ms = self.begin.elapsed().as_millis();
        let what = match status {
            Some(_) => "Answered a request",
            None => "A caller left before its answer",
        };
        match self.is_anonymous() {
            true => {
                tracing::debug!(%client, forwarded_for, %method, target, status, ms, untold, "{what}");
            }
            false => {
                tracing::info!(%client, forwarded_for, caller, %method, target, status, ms, untold, "{what}");
            }
        }
    }
}

/// Parses the client address from a proxy's headers. Any client can forge it, so it is logged
/// beside the peer's address.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let named = |name| {
        let text = headers.get(name)?.to_str().ok()?;
        text.split(',').next()?.trim().parse().ok()
    };
    named("x-forwarded-for").or_else(|| named("x-real-ip"))
}

const SINGLE_HEADERS: [(HeaderName, &str); 3] = [
    (AUTHORIZATION, "Authorization"),
    (HOST, "Host"),
    (X_AUTH_TOKEN, "X-Auth-Token"),
];
/// Maximum length of a logged method, in bytes. HTTP allows a method as long as all headers.
const MAX_METHOD_LEN: usize = 16;
/// Maximum length of a logged denial, in bytes. It may contain a step name from the request.
const MAX_REASON_LEN: usize = 256;
const REDIRECTED: &str = "<!doctype html>\n<html lang=en>\n<title>Redirecting</title>\n<h1>Redirecting</h1>\n<p>The same address with a slash at its end is right.\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_logged_without_words_that_are_not_ours() {
        let id = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123";
        assert_eq!(shown("/v1/commands/"), "/v1/commands/");
        assert_eq!(shown(&format!("/commands/{id}")), format!("/commands/{id}"));
        assert_eq!(shown("/v1/commands/hush"), "/v1/commands/***");
        assert_eq!(shown("/agent_token=hush/v1"), "/***/v1");
        assert_eq!(shown("/"), "/");
    }

    #[test]
    fn what_a_proxy_says_of_the_client_is_logged_if_it_is_an_address() {
        for (name, value, expected) in [
            ("x-forwarded-for", "192.0.2.1, 10.0.0.1", Some("192.0.2.1")),
            ("x-real-ip", "2001:db8::1", Some("2001:db8::1")),
            ("x-forwarded-for", "evil\u{21}", None),
            ("host", "192.0.2.1", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            let expected = expected.map(|ip| ip.parse().unwrap());
            assert_eq!(forwarded_for(&headers), expected, "{name}: {value}");
        }
    }
}
