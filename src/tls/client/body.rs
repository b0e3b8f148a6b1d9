//! Bodies of answers that may hold a secret.

use reqwest::Response;
use zeroize::Zeroizing;

/// Up to `limit` bytes of a body, and whether that is all of it. The buffer never grows, so that no pieces are left behind.
///
/// # Errors
/// The connection broke.
pub async fn read(
    mut answer: Response,
    limit: usize,
) -> Result<(Zeroizing<Vec<u8>>, bool), reqwest::Error> {
    let announced = answer
        .content_length()
        .and_then(|length| usize::try_from(length).ok());
    let capacity = announced.unwrap_or(limit).min(limit);
    let mut body = Zeroizing::new(Vec::with_capacity(capacity));
    while let Some(chunk) = answer.chunk().await? {
        match chunk.get(..capacity - body.len()) {
            Some(fits) if fits.len() < chunk.len() => {
                body.extend_from_slice(fits);
                return Ok((body, false));
            }
            _ => body.extend_from_slice(&chunk),
        }
    }
    Ok((body, true))
}
