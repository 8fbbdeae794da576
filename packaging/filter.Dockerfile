# The filter as an image that Istio's agent and Envoy Gateway read: one layer, one file.
#   docker build -f dist/filter.Dockerfile dist
FROM scratch
COPY --chmod=0444 filter.wasm /plugin.wasm
