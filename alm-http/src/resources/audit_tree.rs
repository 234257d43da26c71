//! What shows that no audit entry was changed: `/audit/checkpoint`, `/audit/events/{index}/proof`, `/audit/consistency` and
//! `/audit/tile/…`.

use alm_core::{
    domain::{AuditIndex, Rejected},
    services::{ConsistencyProof, InclusionProof},
    tlog::{Hash, TilePath},
};
use axum::{
    Json,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::ApiError,
    request::{Asking, Caller, Params, PathId, Query, rejected},
    state::ApiState,
};

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(get_audit_checkpoint))
        .routes(routes!(get_audit_proof))
        .routes(routes!(get_audit_consistency))
        .routes(routes!(get_audit_tile))
}

/// That an entry stands in the audit log. Hashes are in base64 (RFC 4648, section 4).
#[derive(Serialize, ToSchema)]
#[schema(as = InclusionProof)]
struct InclusionProofBody {
    /// The index of the entry, from 1. Its leaf is the one before, from 0.
    #[schema(minimum = 1)]
    index: u64,
    /// SHA-256 of a zero byte and the entry, as the guide to the audit log says how it is written.
    leaf_hash: String,
    /// For how many entries the proof is.
    #[schema(minimum = 1)]
    size: u64,
    /// The root of the tree of so many.
    root_hash: String,
    /// The hashes beside the path from the leaf to the root, from the leaf up (RFC 6962, section 2.1.1).
    proof: Vec<String>,
}

/// That the audit log begins with what it was before. Hashes are in base64 (RFC 4648, section 4).
#[derive(Serialize, ToSchema)]
#[schema(as = ConsistencyProof)]
struct ConsistencyProofBody {
    /// How many entries it had before.
    from: u64,
    /// The root of the tree of so many.
    from_root_hash: String,
    /// How many it has.
    to: u64,
    /// The root of the tree of so many.
    to_root_hash: String,
    /// The proof (RFC 6962, section 2.1.2).
    proof: Vec<String>,
}

fn texts(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(ToString::to_string).collect()
}

impl From<InclusionProof> for InclusionProofBody {
    fn from(proof: InclusionProof) -> Self {
        Self {
            index: proof.index.get(),
            leaf_hash: proof.leaf.to_string(),
            size: proof.size,
            root_hash: proof.root.to_string(),
            proof: texts(&proof.hashes),
        }
    }
}

impl From<ConsistencyProof> for ConsistencyProofBody {
    fn from(proof: ConsistencyProof) -> Self {
        Self {
            from: proof.from,
            from_root_hash: proof.from_root.to_string(),
            to: proof.to,
            to_root_hash: proof.to_root.to_string(),
            proof: texts(&proof.hashes),
        }
    }
}

/// How many entries, as a parameter.
fn size(text: &str) -> Result<u64, Rejected> {
    let size = text.parse::<i64>().ok().and_then(|size| u64::try_from(size).ok());
    size.ok_or_else(|| rejected("must be a number of entries: an integer from 0"))
}

struct OfSize(Option<u64>);

impl Query for OfSize {
    fn of(params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self(params.take("size", |text| size(&text))?))
    }
}

struct FromTo {
    from: u64,
    to: Option<u64>,
}

impl Query for FromTo {
    fn of(params: &mut Params) -> Result<Self, ApiError> {
        let from = params.take("from", |text| size(&text))?;
        let missing = || ApiError::parameter("from", "invalid-parameter", "from must be given".to_owned());
        Ok(Self { from: from.ok_or_else(missing)?, to: params.take("to", |text| size(&text))? })
    }
}

/// Read the newest checkpoint
///
/// A signed note (C2SP tlog-checkpoint) of how many entries the audit log has and of the root of the tree over them. Keep it: with it anyone
/// can tell later whether an entry before it was changed. `404` as long as nothing was signed.
#[utoipa::path(get, path = "/audit/checkpoint", tag = "audit",
    responses((status = 200, body = String, content_type = "text/plain")))]
async fn get_audit_checkpoint(State(state): State<ApiState>, Caller(context): Caller) -> Result<Response, ApiError> {
    let checkpoint = state.alm.audit().tree().checkpoint(&context).await?.ok_or_else(ApiError::no_such_path)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], checkpoint.note).into_response())
}

/// Prove that an audit entry stands in the audit log
///
/// For the log of the first `size` entries, or as many as the newest checkpoint tells of. `404` when there is no such entry among them, or
/// not so many are signed for yet.
#[utoipa::path(get, path = "/audit/events/{index}/proof", tag = "audit", params(
    ("index" = i64, Path, description = "From 1", minimum = 1),
    ("size" = Option<i64>, Query, description = "For how many entries; all that are signed for unless told", minimum = 0),
), responses((status = 200, body = InclusionProofBody)))]
async fn get_audit_proof(
    State(state): State<ApiState>,
    PathId(index): PathId<AuditIndex>,
    Asking(context, OfSize(size)): Asking<OfSize>,
) -> Result<Json<InclusionProofBody>, ApiError> {
    let proof = state.alm.audit().tree().inclusion(&context, index, size).await?;
    Ok(Json(proof.ok_or_else(ApiError::no_such_path)?.into()))
}

/// Prove that the audit log begins with what it was before
///
/// `404` when not so many entries are signed for yet, or `from` is the greater one.
#[utoipa::path(get, path = "/audit/consistency", tag = "audit", params(
    ("from" = i64, Query, description = "How many entries it had before", minimum = 0),
    ("to" = Option<i64>, Query, description = "How many it has; all that are signed for unless told", minimum = 0),
), responses((status = 200, body = ConsistencyProofBody)))]
async fn get_audit_consistency(
    State(state): State<ApiState>,
    Asking(context, FromTo { from, to }): Asking<FromTo>,
) -> Result<Json<ConsistencyProofBody>, ApiError> {
    let proof = state.alm.audit().tree().consistency(&context, from, to).await?;
    Ok(Json(proof.ok_or_else(ApiError::no_such_path)?.into()))
}

/// Read a tile of the tree over the audit log
///
/// As C2SP tlog-tiles names them: `/audit/tile/0/x001/234` has 256 hashes of 32 bytes, and `/audit/tile/0/x001/234.p/7` the first
/// seven of them. `404` when there are not so many yet.
#[utoipa::path(get, path = "/audit/tile/{*tile}", tag = "audit", params(
    ("tile" = String, Path, description = "Level and index, and the width of one that is not full", example = "0/000.p/1",
        pattern = "^[0-9]{1,2}/(x[0-9]{3}/)*[0-9]{3}(\\.p/[0-9]{1,3})?$"),
), responses((status = 200, body = [u8], content_type = "application/octet-stream")))]
async fn get_audit_tile(
    State(state): State<ApiState>,
    PathId(path): PathId<TilePath>,
    Caller(context): Caller,
) -> Result<Response, ApiError> {
    let tile = state.alm.audit().tree().tile(&context, path.id()).await?;
    let hashes = tile.and_then(|tile| tile.hashes().get(..path.width().into()).map(<[Hash]>::to_vec));
    let hashes = hashes.ok_or_else(ApiError::no_such_path)?;
    let bytes: Vec<u8> = hashes.iter().flat_map(Hash::as_bytes).copied().collect();
    let kind = HeaderValue::from_static("application/octet-stream");
    Ok(([(header::CONTENT_TYPE, kind)], bytes).into_response())
}
