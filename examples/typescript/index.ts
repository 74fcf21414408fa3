// One app's secrets. Arguments are literals: what decides access is known at preview, so an output is refused.
import * as fs from "fs";
import * as kubernetes from "@pulumi/kubernetes";
import * as lockstep from "@pulumi/lockstep";
import * as pulumi from "@pulumi/pulumi";

const config = new pulumi.Config();
const cluster = new kubernetes.Provider("cluster", {
    kubeconfig: config.requireSecret("kubeconfig"),
    // Without it a changed kubeconfig replaces the provider, and with it everything that is in the cluster.
    clusterIdentifier: config.require("clusterName"),
});

const api = new lockstep.AppSecrets("api", {
    spec: fs.readFileSync("../api.yaml", "utf8"),
    environment: pulumi.getStack(),
    region: config.get("region") ?? "eu-west-1",
    account: config.require("account"),
    clusterName: config.require("clusterName"),
    oidcIssuer: config.require("oidcIssuer"),
    rolePath: "/lockstep/",
}, { providers: [cluster] });

export const roleArn = api.roleArn;
export const serviceAccount = api.serviceAccount;
