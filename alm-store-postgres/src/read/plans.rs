//! How `PostgreSQL` reads pages: by seeking in an index, however long the tables are.

use std::env;

use alm_core::{
    domain::{Actor, AppId, CredentialId, DeploymentStatus, EnvironmentName, Timestamp, Username, VersionId},
    ports::{AppFilter, AuditFilter, CredentialFilter, DeploymentFilter, LabelFilter, VersionFilter},
};
use alm_test_support::postgres::Server;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, QueryBuilder, Row as _, types::Uuid};

use super::{DeploymentsOf, Held, IsRevoked, VersionsOf, apps, audit, credentials, deployments, parents, versions};
use crate::{PostgresOptions, PostgresStore, tree};

/// Rows of which a hundred have the label, and as many as one would have in months.
const FILL: &str = "
    INSERT INTO apps SELECT n, 'app' || n, '', CASE WHEN n % 200 = 0 THEN '{\"a\": \"b\"}' ELSE '{}' END::jsonb, n, n, 1
        FROM generate_series(1, 20000) n;
    INSERT INTO versions SELECT n, n % 20, 'v' || n, '', CASE WHEN n % 200 = 0 THEN '{\"a\": \"b\"}' ELSE '{}' END::jsonb, n, n, 1
        FROM generate_series(1, 20000) n;
    INSERT INTO deployments SELECT n, n % 20, n, 'e' || n % 5, CASE WHEN n % 9 = 0 THEN 'failed' ELSE 'successful' END, n, n, n, 1
        FROM generate_series(1, 20000) n;
    INSERT INTO audit_entries SELECT n, gen_random_uuid(), decode('aa', 'hex'), decode('bb', 'hex'), '{}', n, n, 'ada', \
            n::text::bytea, n FROM generate_series(1, 20000) n;
    INSERT INTO known_apps SELECT n, n FROM generate_series(1, 20000) n;
    INSERT INTO known_versions SELECT n, n FROM generate_series(1, 20000) n;
    INSERT INTO accounts SELECT 'user' || n, 'user', n, '' FROM generate_series(1, 20000) n;
    INSERT INTO credentials SELECT gen_random_uuid(), CASE WHEN n % 200 > 0 THEN 'user' || n % 20 END, \
            CASE WHEN n % 200 = 0 THEN 'key' || n END, 1, n, '{}' FROM generate_series(1, 20000) n;
    INSERT INTO revocations SELECT gen_random_uuid(), n FROM generate_series(1, 20000) n;
    INSERT INTO tree_tiles SELECT 0, n, decode('aa', 'hex') FROM generate_series(1, 20000) n;
    INSERT INTO tree_checkpoints SELECT n, n, '' FROM generate_series(1, 20000) n;
    ANALYZE";

/// Pages, and the indexes in which each is to be found.
fn pages() -> Vec<(String, &'static [&'static str])> {
    let app = AppId::new(1);
    let label = || vec![LabelFilter { key: "a".to_owned(), value: "b".to_owned() }];
    let text = || Some("text".to_owned());
    let of_apps = [
        (AppFilter::default(), &["apps_id"] as &[_]),
        (AppFilter { labels: label(), ..AppFilter::default() }, &["app_labels_pkey"]),
    ];
    let of_versions = [
        (VersionFilter::default(), &["versions_id"] as &[_]),
        (VersionFilter { app_id: app, ..VersionFilter::default() }, &["versions_of_app"]),
        (VersionFilter { labels: label(), ..VersionFilter::default() }, &["version_labels_pkey"]),
        (VersionFilter { app_id: app, labels: label() }, &["version_labels_of_app"]),
    ];
    let environment = Some(EnvironmentName::parse("e1").unwrap());
    let of_deployments = [
        (DeploymentFilter::default(), &["deployments_id"] as &[_]),
        (DeploymentFilter { app_id: app, ..DeploymentFilter::default() }, &["deployments_of_app"]),
        (
            DeploymentFilter { version_id: VersionId::new(1), ..DeploymentFilter::default() },
            &["deployments_of_version"],
        ),
        (DeploymentFilter { environment, ..DeploymentFilter::default() }, &["deployments_to_environment"]),
        (
            DeploymentFilter { status: Some(DeploymentStatus::Failed), ..DeploymentFilter::default() },
            &["deployments_of_status"],
        ),
    ];
    let of_audit = [
        (AuditFilter::default(), &["audit_entries_pkey"] as &[_]),
        (AuditFilter { event_type: text(), ..AuditFilter::default() }, &["audit_by_type"]),
        (AuditFilter { source_service: text(), ..AuditFilter::default() }, &["audit_by_service"]),
        (AuditFilter { subject: text(), ..AuditFilter::default() }, &["audit_by_subject"]),
        (AuditFilter { actor: Some(Actor::parse("ada").unwrap()), ..AuditFilter::default() }, &["audit_by_actor"]),
        (
            AuditFilter { since: Some(Timestamp::MIN), ..AuditFilter::default() },
            &["audit_by_latest", "audit_entries_pkey"],
        ),
    ];
    let of_parents =
        [(parents::OF_AN_APP, &["known_apps_id"] as &[_]), (parents::OF_A_VERSION, &["known_versions_id"])];
    let of_a_credential = [
        (Held::STATEMENT, &["credentials_id", "accounts_username"] as &[_]),
        (IsRevoked::STATEMENT, &["revocations_id"]),
    ];
    let of_credentials = [
        (CredentialFilter::SessionsOf(Username::parse("ada").unwrap()), &["credentials_of_user"] as &[_]),
        (CredentialFilter::ApiKeys, &["credentials_api_keys"]),
    ];
    let of_tree = [
        (tree::TILES, &["tree_tiles_pkey"] as &[_]),
        (tree::CHECKPOINTS, &["tree_checkpoints_pkey"]),
        (tree::NEWEST, &["tree_checkpoints_pkey"]),
    ];
    let of_an_app =
        [(VersionsOf::STATEMENT, &["versions_of_app"] as &[_]), (DeploymentsOf::STATEMENT, &["deployments_of_app"])];
    let of_running = (deployments::RUNNING, &["deployments_successful", "versions_id", "known_versions_id"] as &[_]);
    let sql = QueryBuilder::into_string;
    let mut pages = Vec::from(of_an_app.map(|(statement, index)| (statement.to_owned(), index)));
    pages.push((of_running.0.to_owned(), of_running.1));
    pages.extend(of_tree.map(|(statement, index)| (statement.to_owned(), index)));
    pages.extend(of_parents.map(|(statement, index)| (statement.to_owned(), index)));
    pages.extend(of_a_credential.map(|(statement, index)| (statement.to_owned(), index)));
    for (filter, index) in of_credentials {
        for after in [None, Some(CredentialId::new(Uuid::nil()))] {
            pages.push((sql(credentials::page(&filter, after, 50)), index));
        }
    }
    pages.extend(of_apps.into_iter().map(|(filter, index)| (sql(apps::page(&filter, None, 50).unwrap()), index)));
    pages.extend(
        of_versions.into_iter().map(|(filter, index)| (sql(versions::page(&filter, None, 50).unwrap()), index)),
    );
    pages.extend(of_deployments.into_iter().map(|(filter, index)| (sql(deployments::page(&filter, None, 50)), index)));
    pages.extend(of_audit.into_iter().map(|(filter, index)| (sql(audit::page(&filter, None, 50)), index)));
    pages
}

#[tokio::test]
async fn no_page_is_found_by_reading_a_table_that_grows() {
    let named = env::var("ALM_TEST_POSTGRES_URL");
    let own = if named.is_err() { Some(tokio::task::spawn_blocking(Server::shared).await.unwrap()) } else { None };
    let url = named.unwrap_or_else(|_| own.as_ref().unwrap().url());
    let schema = format!("alm_test_plans_{}", std::process::id());
    let options = PostgresOptions::parse(&url).unwrap().schema(&schema).unwrap();
    PostgresStore::migrate(&options).await.unwrap();
    let mut connection = PgConnection::connect_with(&options.connection()).await.unwrap();
    connection.execute(FILL).await.unwrap();

    for (sql, indexes) in pages() {
        let parameters = (1..10).take_while(|n| sql.contains(&format!("${n}"))).count();
        let values = if parameters == 0 { String::new() } else { format!("({})", vec!["NULL"; parameters].join(", ")) };
        // As the store's sessions have it: for whatever values come.
        connection.execute(AssertSqlSafe(format!("PREPARE page AS {sql}"))).await.unwrap();
        let explain = AssertSqlSafe(format!("EXPLAIN (COSTS OFF) EXECUTE page{values}"));
        let steps = connection.fetch_all(sqlx::raw_sql(explain)).await.unwrap();
        let plan: Vec<String> = steps.iter().map(|step| step.get(0)).collect();
        let plan = plan.join("\n");
        for index in indexes {
            assert!(plan.contains(&format!("using {index} ")), "not by {index}: {sql}\n{plan}");
        }
        // What runs where is in the order of its environments once it was found, as many as there are; nothing else is sorted.
        let sorted: Vec<_> = plan.lines().filter_map(|step| step.trim().strip_prefix("Sort Key: ")).collect();
        let may_sort: &[_] = if sql == deployments::RUNNING { &["environments.name COLLATE \"C\""] } else { &[] };
        assert!(!plan.contains("Seq Scan") && sorted == may_sort, "{sql}\n{plan}");
        connection.execute("DEALLOCATE page").await.unwrap();
    }
    connection.execute(AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE"))).await.unwrap();
}
