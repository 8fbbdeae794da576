#!/bin/bash
# test-clampd-payloads.sh - fire payload lists at Clampd
GW="${1:-http://localhost:8080}"
KEY="${CLAMPD_API_KEY:-ag_test_acme_2026}"
JWT="${CLAMPD_JWT}"
AGENT="${CLAMPD_AGENT_ID:-b0000001-0004-0000-0000-000000000001}"
FILE="${2:-payloads.txt}"
if [ ! -f "$FILE" ]; then
echo "Usage: $0 [gateway-url] <payload-file>"
echo " e.g. $0 http://localhost:8080 SecLists/Fuzzing/SQLi/quick-SQLi.txt"
exit 1
fi
passed=0; failed=0; total=0
while IFS= read -r payload; do
[ -z "$payload" ] && continue
total=$((total + 1))
resp=$(curl -s -o /dev/null -w "%{http_code}" \
-X POST "$GW/v1/scan-input" \
-H "Content-Type: application/json" \
-H "X-AG-Key: $KEY" \
-H "Authorization: Bearer $JWT" \
-d "{\"text\": $(echo "$payload" | jq -Rs .), \"agent_id\": \"$AGENT\"}")
if [ "$resp" = "200" ]; then
echo "MISS [$resp] $payload"
failed=$((failed + 1))
else
passed=$((passed + 1))
fi
done < "$FILE"
echo ""
echo "Results: $total tested, $passed blocked, $failed missed"
[ "$failed" -gt 0 ] && exit 1 || exit 0
