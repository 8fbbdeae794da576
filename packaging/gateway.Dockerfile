# A standalone gateway: Envoy without a shell, the filter, and envoy.yaml with the container's paths.
#   docker build -f dist/gateway.Dockerfile dist
# Pin the base by the digest that you have verified: --build-arg ENVOY=envoyproxy/envoy@sha256:…
ARG ENVOY=docker.io/envoyproxy/envoy:distroless-v1.40.0
FROM ${ENVOY}
COPY --chmod=0444 filter.wasm envoy.yaml /etc/clampd/
USER 65532:65532
EXPOSE 8080
CMD ["--config-path", "/etc/clampd/envoy.yaml", "--concurrency", "2", "--log-level", "warning"]
